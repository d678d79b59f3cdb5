"""What can make one seed give two results, found before and after a program runs."""
