"""Random transforms of whole batches: pure functions of (batch, draws), on whatever device the batch is.

One file a transform, found by name. A transform is a frozen record of JSON values with a ``kind``:

``geometry``  gives a 3×3 sampling matrix per row; consecutive ones compose into one resampling;
``colour``    gives a C×(C+1) matrix per row; consecutive ones compose into one product;
``pixels``    takes and gives the batch itself, and may write into it;
``frame``     says the side and role of the view;
``rows``      takes and gives numeric rows (N, F).
"""
