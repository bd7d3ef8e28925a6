"""The risk rules we ship, one a file; each is a plug-in on the same footing as a user's own."""
