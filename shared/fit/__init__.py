"""What both training sockets share."""
