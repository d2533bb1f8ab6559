"""The words of `bench.mixed_table`: what its text columns may hold."""

from __future__ import annotations

COUNTRIES = ("DE", "FR", "IT", "ES", "PL", "NL", "BE", "SE", "AT", "PT", "DK", "FI")
STATUSES = ("new", "paid", "shipped", "returned", "cancelled")
SYLLABLES = ("ber", "lin", "mar", "sei", "ton", "vil", "le", "ham", "burg", "dorf", "ko", "ra")
CITIES = tuple(a + b + c for a in SYLLABLES for b in SYLLABLES for c in ("", "stadt"))
WORDS = ("late", "parcel", "gift", "please", "call", "broken", "box", "thanks", "größe", "naïve")
