"""How far something is: who tells it, who hears it, and the line that shows it.

Decides no number of any result.
"""
