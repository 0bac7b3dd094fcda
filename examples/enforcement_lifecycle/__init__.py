"""A threshold of policy is corrected three days late: what is wrong, what may be used, what has left already.

`python -m examples.enforcement_lifecycle` plays it in simulated time, from the first symptom to the closed incident.
"""
