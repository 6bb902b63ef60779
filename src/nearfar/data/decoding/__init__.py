"""From cells to arrays: decoding in processes, the cache, and decoding while training goes."""
