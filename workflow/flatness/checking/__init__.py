"""A publication, checked: what can be made anew of it is, and is compared with what is published.

Nothing is written into the publication. Only training a run anew loads torch.
"""
