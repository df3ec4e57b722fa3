"""The HTTP API beside the page: conversations, workflows, runs for other programs, and the login in front."""
