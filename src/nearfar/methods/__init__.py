"""One file a method: a record of what it is made of, and the function that says the paper's sentence.

A method file defines ``RECORD`` (`nearfar.methods.record.Method`) and ``compare(e, record)``, which gets the step's
`nearfar.methods.embeddings.Embeddings` and returns the scalar loss and a dict of numbers worth logging. Objectives are
imported inside `compare`, so that listing the methods loads nothing heavy.
"""
