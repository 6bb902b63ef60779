"""What a recommender must beat: floors that need no training by gradient, all with one function, ``scores``.

A floor is fitted on `Histories` and gives of others, of the same items, ``scores(histories)``: float32 (B, I), higher
for what the user is likelier to take. What a user has seen is not masked here.
"""
