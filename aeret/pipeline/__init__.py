"""Run stages: which are up to date, in what order, resumed where killed, and what ran when. Knows no ML.

An artifact lives at ``<runs>/artifacts/<stage>/<key>``, where the key is the digest of everything that decides its
content. "Up to date" is therefore "the folder exists", and two runs that share a prefix share its artifacts.
"""
