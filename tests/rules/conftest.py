"""No deadlines for hypothesis: a busy machine must not turn a true rule red."""

from hypothesis import settings

settings.register_profile("rules", deadline=None)
settings.load_profile("rules")
