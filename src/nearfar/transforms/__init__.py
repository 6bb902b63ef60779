"""Random transforms of whole batches: pure functions of (batch, draws), on whatever device the batch is.

One file a transform, found by name: here, in a sub-folder, or in ``$NEARFAR_PLUGINS/transforms/``. ``--set
views.add=NAME`` adds it to a recipe. A transform is a frozen dataclass of JSON values with a ``kind``:

=============== =============================== ====================================================================
``kind``        method                          what it gives
=============== =============================== ====================================================================
``geometry``    ``matrix(draws, geometry)``     (N, 3, 3) from view to image coordinates, x and y in [−1, 1], so the
                                                inverse of what happens to the content; `geometry` (N, 2) is the height
                                                and width of originals that are stored as squares. Consecutive ones
                                                compose into one resampling
``colour``      ``matrix(draws, mean)``         (N, C, C + 1) to multiply colours by and to add; `mean` (N, C) is each
                                                row's colour so far. Consecutive ones compose into one product
``pixels``      ``apply(images, draws)``        images (N, C, H, W), float in [0, 1]; may write into its argument
``rows``        ``apply(rows, draws)``          numeric rows (N, F)
``words``       ``apply(ids, draws)``           ids (N, L), 0 where there is none; a positive one begins a word
``waveform``    ``apply(waves, draws, rate)``   waveforms (N, L), float in [−1, 1], zero behind their ends; `rate` in Hz
``spectrogram`` ``apply(x, draws, rate)``       log-mel spectrograms (N, mels, time), of mean 0 and standard deviation 1
``series``      ``apply(series, draws)``        standardised series (N, C, T), NaN where nothing is; keeps the axis of
                                                time, unless it says that it warps
``frame``       none                            the side and role of the view
=============== =============================== =============================================================
Fields that several have mean the same everywhere:

============ ================================================================================================
``p``        probability of the transform, for each row by itself
``rate``     probability for each feature, word or token by itself
``fill``     what lies outside of the image: "reflection", "border" or "zeros"
``degrees``  an angle is drawn from [−degrees, degrees], counter-clockwise where positive
============ ================================================================================================

A field says its range or its choices by `nearfar.core.values.knob`: ``p: float = knob(0.5, low=0, high=1)``.

What a class may say of itself: ``channels``, the numbers of channels that it makes sense for; for geometry ``aligned``
(its matrix only stretches, mirrors and moves), ``projective`` (the third row is not (0, 0, 1)) and ``shrinks`` (a pixel
of the view may cover several of the image).
"""
