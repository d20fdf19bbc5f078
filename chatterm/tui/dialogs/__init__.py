"""What lies over the chat until it is answered or left: choosing, editing, comparing, looking."""
