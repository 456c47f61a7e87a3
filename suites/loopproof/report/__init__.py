"""What people look at after a run: the HTML page, Markdown, the terminal, and the difference of two results."""
