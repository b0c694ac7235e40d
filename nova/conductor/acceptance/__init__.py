"""What a request is checked and accepted with, in one transaction."""
