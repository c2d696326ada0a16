"""What a model has computed, kept for the next question: key-value prefixes and pictures' features.

`prefixes.py` and `kept.py` hold it in memory (`kv.py` is what they do to transformers' cache); `folder.py`,
`stored.py`, `sealed.py`, `identity.py` and `writer.py` keep it on disk, for another process; `recheck.py` tests it.
"""
