"""What a kind of host adds to MemCNP: rules of its training.

``sipmask`` are the points of a dense head, ``queries`` the queries of a
decoder.
"""
