"""What people read: every result in words and lines."""
