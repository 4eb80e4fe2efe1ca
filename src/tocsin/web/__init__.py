"""What a browser is shown: pages, their words in two languages, and the files that they use.

Pages are pure functions that give bytes; who serves them, and under which path, stands in the app.
"""
