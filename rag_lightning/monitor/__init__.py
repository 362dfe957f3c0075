"""A stream of messages watched: topic and sentiment of each, and an alert when negative ones surge."""
