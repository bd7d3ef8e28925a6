"""The venues we ship, one folder each; they know `botkit` and never one another."""
