"""The heart: incidents, their statuses, who may move them."""
