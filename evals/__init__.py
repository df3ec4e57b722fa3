"""The scoreboard: multi-round tasks of our own, put to the real assistant, judged by code and written as a table.

`python -m evals` asks a model; `python -m evals --record` makes the recordings of the answers that stand in the tasks.
"""
