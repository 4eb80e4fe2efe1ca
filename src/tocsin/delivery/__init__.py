"""Who is told of what: channels, subscriptions, the outbox, and the way out of the house."""
