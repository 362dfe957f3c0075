"""A sample to try the command without data: 60 films that do not exist, and 60 users who do not either.

The titles were written for this project (CC0); who likes what is simulated: a user has a taste for one or two genres, a
film has a quality, and films are watched more in the weeks after they came out. So whatever a method finds here was
put in, and figures on the sample say that the command works, not how good a method is.
"""

import numpy as np

from recommending.movielens import Ratings

DAY = 86_400.0
BEGIN, DAYS = 1_735_689_600.0, 200  # the first of January 2025, and how long users rate films
USERS, RATINGS = 60, 26
SEED = 0
GENRES: dict[str, tuple[str, ...]] = {
    "crime": (
        "The Last Alibi", "Nobody Robs Harbour Street", "A Witness Too Many", "Cold Case at Miller's Bridge",
        "The Forger's Daughter", "Ten Minutes to the Vault", "Inspector Varga Returns", "Blood on the Ledger",
        "The Quiet Gunman", "Murder on Platform Nine",
    ),
    "science fiction": (
        "Orbit of the Lost", "The Martian Orchard", "Signal from Kepler", "Robots Do Not Weep", "The Second Moon",
        "Colony Eleven", "Time Runs Backwards", "The Android's Oath", "Beyond the Starless Gate", "Starship Meridian",
    ),
    "romance": (
        "Letters to Amelie", "A Kiss Before the Harvest", "Love in the Lighthouse", "Two Weddings and a Train",
        "The Florist's Promise", "Dancing with Clara", "Summer of Our Hearts", "Married by Mistake",
        "The Bride Who Waited", "Sweethearts of Verona Road",
    ),
    "horror": (
        "The House That Whispers", "Graveyard Shift at Hollow Creek", "Do Not Open the Cellar", "The Vampire of Lund",
        "Scream in the Fog", "Dead Children Sing", "The Haunting of Room Six", "Curse of the Black Well",
        "Night of the Scarecrows", "What the Ghost Remembered",
    ),
    "comedy": (
        "My Mother-in-Law Is a Pirate", "Three Fools and a Camel", "The Worst Waiter in Town", "Grandpa Goes Viral",
        "Oops, Wrong Embassy", "The Clumsy Butler", "Holiday with the Hoopers", "Pardon My Parrot",
        "The Accidental Mayor", "Laugh Till Monday",
    ),
    "western": (
        "Dust over Santa Rosa", "The Sheriff of Broken Creek", "Ride to Amarillo Hill", "Six Horses North",
        "The Outlaw's Saddle", "Gold at Coyote Pass", "The Cattle Baron", "Duel at High Mesa", "Stagecoach to Nowhere",
        "The Cowboy and the Preacher",
    ),
}  # fmt: skip


def sample(seed: int = SEED) -> Ratings:
    """60 invented films and what 60 simulated users said of them; the same for the same seed."""
    rng = np.random.default_rng(seed)
    names = [(genre, title) for genre, titles in GENRES.items() for title in titles]
    kinds = np.array([list(GENRES).index(genre) for genre, _ in names])
    quality = rng.normal(0.0, 0.6, len(names))
    premiere = rng.integers(-1500, DAYS - 60, len(names))  # in days from the beginning; most are older
    stars: dict[int, dict[int, int]] = {}
    times: dict[int, dict[int, float]] = {}
    for user in range(1, USERS + 1):
        taste = np.full(len(GENRES), -0.7)
        taste[rng.choice(len(GENRES), rng.integers(1, 3), replace=False)] = 1.2
        days = np.sort(rng.uniform(60, DAYS, RATINGS))
        stars[user], times[user] = {}, {}
        for day in days:
            age = day - premiere
            may = np.array([age[film] >= 0 and film + 1 not in stars[user] for film in range(len(names))])
            pull = np.exp(0.9 * taste[kinds] + quality + 1.0 * (age < 40)) * may
            film = int(rng.choice(len(names), p=pull / pull.sum()))
            verdict = 3.2 + taste[kinds[film]] + quality[film] + rng.normal(0.0, 0.6)
            stars[user][film + 1] = int(np.clip(round(verdict), 1, 5))
            times[user][film + 1] = BEGIN + float(day) * DAY
    years = [1970 + int((BEGIN + day * DAY) / (365.25 * DAY)) for day in premiere]
    return Ratings(
        titles={number: f"{title} ({years[number - 1]})" for number, (_, title) in enumerate(names, 1)},
        genres={number: genre for number, (genre, _) in enumerate(names, 1)},
        released={number: BEGIN + float(day) * DAY for number, day in enumerate(premiere, 1)},
        stars=stars,
        times=times,
    )
