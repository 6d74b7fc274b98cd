"""What trains a twin under a seed: plain `fit`, or all seeds in one program."""
