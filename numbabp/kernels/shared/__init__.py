"""One large network on several threads, its hidden weights read once a step."""
