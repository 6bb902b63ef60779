"""Encoders, one file a family, found by name: ``small_cnn``, ``resnet18``, ``timm:NAME``, ``text_rnn`` …

An encoder's file says which ``MODALITIES`` it takes and has a ``build``: a function or a class whose keyword arguments
are the modality's shape and its own options. What it builds maps a batch to features (N, D) and
has ``out_features`` = D. Arguments that several have mean the same everywhere:

================== =============================================================================================
``channels, size`` shape of images (N, C, S, S), float; ``channels`` of series (N, C, T), float, NaN where nothing is
``missing``        whether steps of series may be missing between others
``features``       shape of numeric rows (N, F), float; of histories see ``each``
``vocabulary``     the largest id of texts, int (N, L): 0 is nothing, and a network takes the absolute value, since
                   the sign only says whether a word begins. A text without ids gives zeros
``length``         tokens per text, or steps per series, at most; these networks take texts and series of any length
``name``           what stands after the colon, as in ``timm:resnet50``
``pretrained``     whether `fetch` takes pretrained weights
``widths``         channels of the stages of an image network
``grid``           means over ``grid`` × ``grid`` parts of the picture stand side by side in the features
``dim``            of the token vectors, of fixed features their number
``width``          of hidden layers, or of the states of a text
``layers``         number of layers
``out``            number of features
``dropout``        share that is left out in training
``pooling``        one vector from the states of a text: "mean", "max", "cls" (the first) or "last"
``idf_power``      power of the inverse document frequencies; above 1 rare tokens count more, 0 means plain counts
``items``          number of items of histories int (N, L, 2): the item's number and one, 0 being nothing, and its
                   weight in thousandths; oldest first. Such an encoder also knows ``candidates(ids)``, vectors of items
``events``         of the histories that are trained on, in all
``each``           features of one item at most, of ``features`` different ones
``ridge``          λ of the ridge regression of every item on all that vectors of items start as
``rating``         how much more a rating that is one standard deviation above the mean counts than an average one
``even``           in that regression users count by this negative power of how many events they have
``content``        in that regression, the weight of features of the items, which stand below the users
``recent``         so many of the last events have each a factor of their own, which is learnt; 0: order does not matter
``first``          the factor of the very last at the start; those before fall to 1 evenly on a logarithmic scale
``ngram_weight``   of n-grams beside the word they are of, see `nearfar.encoders.text.static.token_weights`
================== =============================================================================================

A `ValueError` says which argument cannot have its value. A file may also define

============== ==================================================================================================
``TOKENS``     the tokeniser that it wants for texts
``BESIDE``     where fixed features are known to help beside it: options that then stand for its defaults
``BATCH``      most rows of a batch there, if not 256; ``BATCH_LEAST``, fewest, if half of the rows are more than that,
               and ``BATCH_SHARE``, the part of the rows in between, if not a fourth
``STEPS``      about how many steps "auto" epochs are on one column without labels, if not `resolve.TARGET_STEPS`;
               ``EPOCHS_LEAST``, the fewest epochs, if not 10
``RATE_POWER`` power of the batch's size that the learning rate grows with there, if not 1
``NUMBERS``    other numbers of a method than its own, by method, on one column that does not begin with a run
``RATES``      learning rates for 256 rows there by method, where its own is not best
``ADAPTED``    how its pretrained weights are trained further, by what there is to learn from; see
               `nearfar.encoders.adaptation`
``check``      of a name after ``NAME:``, called before the data are read
``offers``     of a name after ``NAME:``: the pretrained model of that name (`nearfar.encoders.offer`), which makes
               ``NAME:…`` a word for a model wherever a run is taken
``recognises`` whether a path is the folder, or file, of such a model, so that it is one without a word before it
``FETCHES``    true where the weights are pretrained unless ``pretrained=False`` is among the options
``settle``     of the options, called once when a training is planned; returns them with all that a run needs to be
               built from its folder alone: ``build`` looks nothing up, since the folder may come from anyone
============== ==================================================================================================

What it builds may have ``fetch()``, which takes pretrained weights and is called once, when a training begins, and
``setup(x)``, called then with the training rows as it takes them, or with no more than its ``setup_rows`` of them,
drawn evenly, and by name what the modality says of them (`known`).

One that keeps an axis of time is a class with ``steps(x) -> (states (N, T, D_steps), there (N, T) bool)``
and ``pooled(states, there) -> (N, D)``, of which its ``forward`` is made; methods that compare steps ask for them.
"""
