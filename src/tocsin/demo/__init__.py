"""`tocsin demo`: a throw-away Tocsin goes through a storm and a kill, and is counted afterwards."""
