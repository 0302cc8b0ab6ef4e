"""Who is in an election now, and who next: membership changes step by step (pure).

Each node learns its configuration at its own time, or never. So a change goes in steps of which
each leaves any two nodes that run the election able to hear each other, whichever of them have
taken it in, and every step is read off what nodes report: nothing is remembered here.
"""
