"""Where a wrong answer could do harm: a plain sentence to ask a person, once in a conversation for each matter.

Medicine and what somebody may not tolerate count wherever they come up, also in the text of a picture. Traffic and
money count only where they are asked about: a street or a price in a picture does no harm by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, TypeAlias

from ..chat import Chat
from ..words import later, words

__all__ = ["Matter", "Warner", "matters_in"]

Matter: TypeAlias = Literal["medicine", "allergy", "traffic", "money"]

_SENTENCES: dict[Matter, str] = {
    "medicine": later("This is about medicine: ask a person to check it before you rely on it."),
    "allergy": later("This is about what somebody may not tolerate: ask a person to check it before you rely on it."),
    "traffic": later("This is about traffic: don't rely on it to walk or drive, ask a person there."),
    "money": later("This is about paying or counting money: ask a person to check it before you rely on it."),
}
_WHEREVER: dict[Matter, tuple[str, ...]] = {  # in English, German, French, Spanish
    "medicine": (
        r"medicines?(?! ball)|medications?|prescriptions?(?! (?:sun)?glasses)|dosages?|overdose|drug facts|side effects"
        r"|pills?(?!-)|insulin|antibiotics?|ibuprofen|paracetamol|acetaminophen|aspirin|eye drops|cough syrup"
        r"|take (?:one|two|\d) (?:tablets?|capsules?)|\d+ (?:mg )?(?:film-coated )?tablets"
        r"|tablets? (?:may|can|should|do|must) i take",
        r"medikament\w*|arznei\w*|dosis|dosierung\w*|packungsbeilage|nebenwirkung\w*|tabletten?|pillen?|antibiotik\w+"
        r"|augentropfen|hustensaft",
        r"médicaments?|posologie|effets (?:secondaires|indésirables)|comprimés?|gélules?|pilules?|insuline"
        r"|antibiotiques?|collyre|ordonnance médicale",
        r"medicamentos?|medicinas?|posología|efectos (?:secundarios|adversos)|comprimidos?"
        r"|pastillas?(?! de (?:freno|jab))|insulina|antibióticos?|colirio|receta médica",
    ),
    "allergy": (
        r"allerg\w+|gluten|lactose|anaphyla\w+|coeliac|celiac|may contain (?:traces of )?\w+"
        r"|(?:nut|dairy|egg|soy)[- ]free"
        r"|(?:nuts?|peanuts?|dairy|milk|eggs?|shellfish|soya?) in (?:it|this|these|them|here)|traces of nuts",
        r"gluten\w*|laktose\w*|zöliakie|spuren von|unverträglichkeit\w*",
        r"intoléran\w+ (?:au|à)|cœliaque"
        r"|traces? (?:éventuelles? )?de (?:noix|fruits|lait|soja|gluten|noisettes?|sésame)",
        r"alérgi\w+|alergias?|alérgenos?|lactosa|celíac\w+|trazas de",
    ),
}
_ASKED: dict[Matter, tuple[str, ...]] = {
    "traffic": (
        r"cross(?:ing)? (?:the |this |that )?(?:street|road|here|now|over)"
        r"|(?:safe|clear|okay?) to (?:cross|walk|drive|turn)|traffic (?:lights?|signals?)"
        r"|crosswalk|zebra crossing|pedestrian (?:lights?|signals?|crossing)|(?:cars?|bus|tram|truck|traffic) coming",
        r"über die (?:straße|strasse|fahrbahn|kreuzung)|straße überqueren|ampel\w*|zebrastreifen|fußgängerüberweg"
        r"|kommt (?:da |hier )?(?:ein |eine )?(?:auto|bus|bahn|tram)",
        r"traverser|feux? (?:est|sont|rouges?|verts?|tricolores?|piétons?)|passage (?:pour )?piétons?"
        r"|voiture qui arrive",
        r"cruzar|semáforos?|paso de (?:peatones|cebra)|vienen? (?:un |algún )?(?:coche|carro|autobús)",
    ),
    "money": (
        r"iban|account numbers?|sort code|(?:bank|wire|money) transfer|(?:i|we|to) (?:pay|owe)|amount due|bank ?notes?"
        r"|(?:dollar|euro|pound) (?:bill|note)|(?:bill|note|coin|change) (?:is|are) (?:this|these|that|in my hand)"
        r"|(?:credit |debit )?card number|how much (?:money|cash|change)",
        r"kontonummer|überweis\w+|bezahl\w+|zu zahlen|muss ich (?:\w+ ){0,3}zahlen|zahlbar|zahlungs\w+"
        r"|geldscheine?|banknoten?|welcher schein|kreditkarten?\w*|kontostand|wie viel geld|wieviel geld",
        r"numéro de compte|virements?|payer|paiement|billets? de (?:banque|\d+)|carte (?:bancaire|de crédit)"
        r"|combien d['\u2019]argent",
        r"número de cuenta|transferencias? bancarias?|pagar|pago|billetes? de (?:banco|\d+)|tarjeta de crédito"
        r"|cuánto dinero",
    ),
}


def _matching(triggers: dict[Matter, tuple[str, ...]]) -> dict[Matter, re.Pattern[str]]:
    return {
        matter: re.compile(rf"\b(?:{'|'.join(languages)})\b", re.IGNORECASE) for matter, languages in triggers.items()
    }


_WHEREVER_FOUND, _ASKED_FOUND = _matching(_WHEREVER), _matching(_ASKED)


def matters_in(question: str, *texts: str) -> list[Matter]:
    """What a question, or texts that answer it, are about that could do harm; the gravest first."""
    said = "\n".join((question, *texts))
    found: list[Matter] = [matter for matter, pattern in _WHEREVER_FOUND.items() if pattern.search(said)]
    asked: list[Matter] = [matter for matter, pattern in _ASKED_FOUND.items() if pattern.search(question)]
    return [*found, *asked]


class Warner:
    """Warns of each matter once: not again where the conversation was about it before."""

    def __init__(self, lang: str, chat: Chat | None = None) -> None:
        """``chat`` is the conversation that goes on."""
        self._say = words(lang)
        self._warned = set(_earlier(chat)) if chat else set[Matter]()

    def hear(self, question: str, *texts: str) -> list[str]:
        """The sentences that a question and what was said and read about it call for."""
        new: list[Matter] = [matter for matter in matters_in(question, *texts) if matter not in self._warned]
        self._warned.update(new)
        return [self._say(_SENTENCES[matter]) for matter in new]


def _earlier(chat: Chat) -> Iterable[Matter]:
    """What a conversation was about, as far as it was asked, said or read in its pictures."""
    turns = chat.turns
    notes = chat.memory.pictures.all_notes(chat.conversation)
    questions = "\n".join(turn.text for turn in turns if turn.role == "user")
    read = (note.get("text", "") for note in notes.values())
    return matters_in(questions, *(turn.text for turn in turns), *read)
