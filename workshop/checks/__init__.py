"""Every check of the project, with a summary at the end."""
