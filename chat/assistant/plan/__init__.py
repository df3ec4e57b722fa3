"""Big workflows: first an outline that the person can reorder or strike, then the steps written side by side, each
with only what it needs, then wired by code and checked.
"""
