"""Who may what: keys, roles, partners. Every request passes the guard."""
