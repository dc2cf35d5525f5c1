"""The roles that studies may play in the paper's claims, spelled here and nowhere else.

In tables each has the name of the paper's network.
"""

VGG10 = "VGG10"
MLP = "MLP"

# By their keys below `claims` in a configuration.
ROLES = {role.lower(): role for role in (VGG10, MLP)}
