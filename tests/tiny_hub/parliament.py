"""Sentences in five languages, for the tiny europarl: beginnings and ends that go together.

The wheel that the other texts come from is all English; these lines were written for this purpose.
"""

from __future__ import annotations

import itertools

BEGINNINGS: dict[str, tuple[str, ...]] = {
    "en": (
        "Mr President, I would like to say that",
        "On behalf of my group, I believe that",
        "The Commission has told us that",
        "We all know that",
        "It is clear to the citizens that",
        "I voted for the report because",
        "The Council must understand that",
        "Last year we agreed that",
    ),
    "fr": (
        "Monsieur le Président, je voudrais dire que",
        "Au nom de mon groupe, je crois que",
        "La Commission nous a dit que",
        "Nous savons tous que",
        "Il est clair pour les citoyens que",
        "J'ai voté pour le rapport parce que",
        "Le Conseil doit comprendre que",
        "L'année dernière, nous avons convenu que",
    ),
    "de": (
        "Herr Präsident, ich möchte sagen: Es stimmt,",
        "Im Namen meiner Fraktion glaube ich:",
        "Die Kommission hat uns mitgeteilt:",
        "Wir wissen alle:",
        "Den Bürgern ist klar:",
        "Ich habe für den Bericht gestimmt, denn",
        "Der Rat muss verstehen:",
        "Voriges Jahr waren wir uns einig:",
    ),
    "es": (
        "Señor Presidente, quisiera decir que",
        "En nombre de mi grupo, creo que",
        "La Comisión nos ha dicho que",
        "Todos sabemos que",
        "Está claro para los ciudadanos que",
        "He votado a favor del informe porque",
        "El Consejo debe comprender que",
        "El año pasado acordamos que",
    ),
    "nl": (
        "Mijnheer de Voorzitter, ik zou willen zeggen:",
        "Namens mijn fractie geloof ik dit:",
        "De Commissie heeft ons meegedeeld:",
        "Wij weten allemaal:",
        "Voor de burgers is het duidelijk:",
        "Ik heb voor het verslag gestemd, want",
        "De Raad moet begrijpen:",
        "Vorig jaar waren wij het erover eens:",
    ),
}

ENDS: dict[str, tuple[str, ...]] = {
    "en": (
        "the budget is too small.",
        "the fishermen need our help.",
        "the new rules protect the environment.",
        "the roads between our countries are bad.",
        "small companies pay too much.",
        "the farmers have waited long enough.",
        "the text has no answer to this question.",
        "women still earn less than men.",
        "the airports are not safe enough.",
        "the directive comes too late.",
    ),
    "fr": (
        "le budget est trop petit.",
        "les pêcheurs ont besoin de notre aide.",
        "les nouvelles règles protègent l'environnement.",
        "les routes entre nos pays sont mauvaises.",
        "les petites entreprises paient trop.",
        "les agriculteurs ont assez attendu.",
        "le texte n'a pas de réponse à cette question.",
        "les femmes gagnent encore moins que les hommes.",
        "les aéroports ne sont pas assez sûrs.",
        "la directive arrive trop tard.",
    ),
    "de": (
        "der Haushalt ist zu klein.",
        "die Fischer brauchen unsere Hilfe.",
        "die neuen Regeln schützen die Umwelt.",
        "die Straßen zwischen unseren Ländern sind schlecht.",
        "die kleinen Unternehmen zahlen zu viel.",
        "die Landwirte haben lange genug gewartet.",
        "der Text gibt auf diese Frage keine Antwort.",
        "die Frauen verdienen noch immer weniger als die Männer.",
        "die Flughäfen sind nicht sicher genug.",
        "die Richtlinie kommt zu spät.",
    ),
    "es": (
        "el presupuesto es demasiado pequeño.",
        "los pescadores necesitan nuestra ayuda.",
        "las nuevas normas protegen el medio ambiente.",
        "las carreteras entre nuestros países son malas.",
        "las pequeñas empresas pagan demasiado.",
        "los agricultores han esperado bastante.",
        "el texto no responde a esta pregunta.",
        "las mujeres todavía ganan menos que los hombres.",
        "los aeropuertos no son bastante seguros.",
        "la directiva llega demasiado tarde.",
    ),
    "nl": (
        "de begroting is te klein.",
        "de vissers hebben onze hulp nodig.",
        "de nieuwe regels beschermen het milieu.",
        "de wegen tussen onze landen zijn slecht.",
        "de kleine bedrijven betalen te veel.",
        "de boeren hebben lang genoeg gewacht.",
        "de tekst geeft geen antwoord op deze vraag.",
        "de vrouwen verdienen nog steeds minder dan de mannen.",
        "de luchthavens zijn niet veilig genoeg.",
        "de richtlijn komt te laat.",
    ),
}


def sentences(language: str) -> list[str]:
    """Every beginning with every end: 80 sentences, in one order for all languages.

    Portuguese and Italian, which only fill the other half of a pair, borrow the Spanish ones.
    """
    spoken = language if language in ENDS else "es"
    pairs = itertools.product(BEGINNINGS[spoken], ENDS[spoken])
    return [f"{beginning} {end}" for beginning, end in pairs]
