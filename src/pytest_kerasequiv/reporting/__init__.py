"""What people and machines read: text, HTML, JSON, JUnit properties, Markdown and pictures."""
