"""Countries and their capitals."""

from __future__ import annotations

from random import Random

from .task import Task, phrased

CAPITALS = dict(
    pair.split("/")
    for pair in (
        "France/Paris,Germany/Berlin,Italy/Rome,Spain/Madrid,Portugal/Lisbon,"
        "Austria/Vienna,Greece/Athens,Poland/Warsaw,Hungary/Budapest,"
        "Ireland/Dublin,Sweden/Stockholm,Norway/Oslo,Denmark/Copenhagen,"
        "Finland/Helsinki,Iceland/Reykjavik,Belgium/Brussels,Romania/Bucharest,"
        "Bulgaria/Sofia,Croatia/Zagreb,Serbia/Belgrade,Ukraine/Kyiv,"
        "Russia/Moscow,Turkey/Ankara,Egypt/Cairo,Morocco/Rabat,Kenya/Nairobi,"
        "Ethiopia/Addis Ababa,Ghana/Accra,Nigeria/Abuja,Senegal/Dakar,"
        "Japan/Tokyo,China/Beijing,India/New Delhi,Thailand/Bangkok,"
        "Vietnam/Hanoi,Indonesia/Jakarta,Nepal/Kathmandu,Iran/Tehran,"
        "Iraq/Baghdad,Pakistan/Islamabad,South Korea/Seoul,Mongolia/Ulaanbaatar,"
        "Canada/Ottawa,Mexico/Mexico City,Cuba/Havana,Peru/Lima,Chile/Santiago,"
        "Brazil/Brasilia,Argentina/Buenos Aires,Colombia/Bogota,Ecuador/Quito,"
        "Uruguay/Montevideo,Australia/Canberra,New Zealand/Wellington"
    ).split(",")
)
_CAPITAL = (
    "What is the capital of {country}?",
    "Name the capital of {country}.",
    "Which city is the capital of {country}?",
    "What is the capital city of {country}?",
    "Tell me the capital of {country}.",
)
_COUNTRY = (
    "{city} is the capital of which country?",
    "Which country has the capital {city}?",
    "Of which country is {city} the capital?",
)


def capital(rng: Random) -> Task:
    """Ask for a capital or, less often, for the country it belongs to."""
    country = rng.choice(list(CAPITALS))
    city = CAPITALS[country]
    if rng.random() < 0.25:
        text = phrased(rng, _COUNTRY, city=city)
        return Task(text, country, f"{city} is the capital of")
    text = phrased(rng, _CAPITAL, country=country)
    return Task(text, city, f"The capital of {country} is")
