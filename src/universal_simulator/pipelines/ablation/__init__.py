"""What each choice in the operator's training brings, at one reduced budget."""
