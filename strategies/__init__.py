"""The strategies we ship, each a page worth reading; plug-ins on the same footing as yours."""
