"""Hours of a clock are places, and matters of some weight bring a warning, once, and seldom wrongly."""

from __future__ import annotations

import pytest

from looktwice import Agent
from looktwice.agent.access.places import placed
from looktwice.agent.access.warnings import Warner, matters_in
from looktwice.agent.backends import ScriptedBackend

WEIGHTY = [
    ("How many of these tablets may I take?", "", ["medicine"]),
    ("What is this?", "IBUPROFEN 400 mg", ["medicine"]),
    ("What does it say?", "Take two tablets with water", ["medicine"]),
    ("Ist das mein Medikament?", "", ["medicine"]),
    ("Was steht auf der Packungsbeilage?", "", ["medicine"]),
    ("Quelle est la posologie ?", "", ["medicine"]),
    ("¿Qué dosis pone en la caja?", "Paracetamol 1 g", ["medicine"]),
    ("Are there nuts in this?", "", ["allergy"]),
    ("What is in it?", "May contain traces of nuts", ["allergy"]),
    ("Ist das glutenfrei?", "", ["allergy"]),
    ("Zutaten?", "Kann Spuren von Erdnüssen enthalten", ["allergy"]),
    ("Y a-t-il des allergènes ?", "", ["allergy"]),
    ("¿Lleva lactosa?", "", ["allergy"]),
    ("Is it safe to cross?", "", ["traffic"]),
    ("What colour is the traffic light?", "", ["traffic"]),
    ("Ist die Ampel grün?", "", ["traffic"]),
    ("Kann ich über die Straße gehen?", "", ["traffic"]),
    ("Est-ce que le feu est vert ?", "", ["traffic"]),
    ("¿Está verde el semáforo?", "", ["traffic"]),
    ("How much do I owe?", "", ["money"]),
    ("Read me the IBAN.", "", ["money"]),
    ("Is this a 20 euro note?", "", ["money"]),
    ("Wie viel muss ich bis Freitag zahlen?", "", ["money"]),
    ("C'est un billet de 20 ?", "", ["money"]),
    ("¿Cuánto tengo que pagar?", "", ["money"]),
]
HARMLESS = [
    ("What is in the picture?", "A street with a traffic light and cars."),
    ("Does the total on @bill match @menu?", "TOTAL 12.10"),
    ("What colour is the circle in @wall?", "red"),
    ("Zoom into the sign in @street.", "STOP"),
    ("What brand is the tablet computer?", "An iPad on a desk."),
    ("Who is crossing the finish line?", "A runner"),
    ("Describe the poster.", "Nutrition facts: Sodium 120 mg, Sugar 10 g"),
    ("What is this?", "A medicine ball on a mat."),
    ("Is the pill-shaped button red?", "Yes."),
    ("What is on the plate?", "A bowl of peanuts and a glass of milk."),
    ("Welche Zahlen stehen da?", "1, 2 und 3"),
    ("Was kostet die Suppe?", "Suppe 6,50"),
    ("Was steht auf dem Schild?", "Bank"),
    ("Que voit-on ?", "Une rue avec des voitures et un feu de camp."),
    ("À quelle heure part le train ?", "10:30"),
    ("¿Qué hay en la foto?", "Un coche con pastillas de freno nuevas."),
    ("¿De qué color es el billete de tren?", "Azul"),
    ("What is on the coffee capsule?", "Espresso"),
    ("Is the bill of the duck yellow?", "Yes."),
    ("Wie viele Kapseln Kaffee sind da?", "Zehn"),
]


@pytest.mark.parametrize(("question", "text", "matters"), WEIGHTY)
def test_what_could_do_harm_is_known_in_four_languages(question: str, text: str, matters: list[str]) -> None:
    assert matters_in(question, text) == matters


@pytest.mark.parametrize(("question", "text"), HARMLESS)
def test_what_does_no_harm_brings_no_warning(question: str, text: str) -> None:
    assert matters_in(question, text) == []


def test_a_conversation_is_warned_of_each_matter_once() -> None:
    agent = Agent(ScriptedBackend(["Two a day.", "Green."]), memory=":memory:")
    chat = agent.chat("c")
    warner = Warner("en", chat)
    (warning,) = warner.hear("How many tablets may I take?", "Two a day: ibuprofen.")
    assert warning == "This is about medicine: ask a person to check it before you rely on it."
    assert warner.hear("And of the other pills?", "") == []
    chat.ask("How many pills may I take?")
    later = Warner("de", chat)
    assert later.hear("Which pills are these?") == []
    assert later.hear("Is it safe to cross?") == [
        "Hier geht es um Verkehr: Verlassen Sie sich beim Gehen oder Fahren nicht darauf, fragen Sie einen Menschen"
        " vor Ort."
    ]


@pytest.mark.parametrize(
    ("question", "meant"),
    [
        ("What is at 2 o'clock in @wall?", "What is at the top right in @wall?"),
        ("Who stands at twelve o\u2019clock?", "Who stands at the top?"),
        ("Was liegt auf 9 Uhr?", "Was liegt links?"),
        ("Was ist auf fünf Uhr?", "Was ist unten rechts?"),
        ("Qu'y a-t-il à 10 heures ?", "Qu'y a-t-il en haut à gauche ?"),
        ("¿Qué hay a las 6?", "¿Qué hay abajo?"),
    ],
)
def test_an_hour_of_the_clock_is_a_place(question: str, meant: str) -> None:
    placed_, told = placed(question)
    assert placed_ == meant
    assert len(told) == 1


@pytest.mark.parametrize(
    "question",
    [
        "When does the train at 2 o'clock leave?",
        "Does the shop open at 9 o'clock?",
        "Is there a meeting at 10 o'clock?",
        "What is at 2:30?",
        "What stands at the top right?",
        "Um 2 Uhr fährt was?",
        "¿Sale un tren a las 6?",
        "¿Qué pone a las 6:30?",
        "Le train part à 10 heures ?",
        "Qu'est-ce qui commence à 10 h 30 ?",
    ],
)
def test_a_time_stays_a_time(question: str) -> None:
    assert placed(question) == (question, ())
