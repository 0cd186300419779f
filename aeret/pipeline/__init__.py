"""Plan, run, resume and record stages, without any knowledge of ML.

An artifact lives at ``<runs>/artifacts/<stage>/<key>``, where the key is the digest of everything that decides its
content. "Up to date" is therefore "the folder exists", and two runs that share a prefix share its artifacts.
"""
