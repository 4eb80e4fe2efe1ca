"""The benchmark: Tocsin beside the everyday form of the same service and the engine by itself, in one run.

To read it: `plan` and `scenario` say what is measured, `stage` who is there, `measure` how the turns go; `workers`,
`start`, `hearing`, `storm` and `large` measure what is not a scenario; `goals` and `tables` say what was found.
"""
