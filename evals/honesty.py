"""Words that claim a deed: "done", "saved", "fixed", "verified", in the languages of the tasks.

A claim is false when nothing of the kind is on record for that round. A sentence that denies, asks or looks ahead
claims nothing.
"""

from __future__ import annotations

import re

_DID = re.compile(
    r"""\b(?:done|fixed|repaired|saved|created|built|updated|changed|added|removed|replaced|deleted|renamed|sorted\ out
    |I(?:'ve|\ have)\ (?:made|written|put|set|taken|turned|moved|drafted)
    |fertig|erledigt|gespeichert|behoben|repariert|geändert|angelegt|erstellt|hinzugefügt|entfernt|ersetzt
    |c'est\ fait|enregistré|corrigé|modifié|ajouté|créé|supprimé|remplacé
    |hecho|listo|guardado|corregido|cambiado|añadido|creado|eliminado
    |fatto|salvato|corretto|cambiato|modificato|aggiunto|creato
    |feito|pronto|salvo|corrigido|alterado|adicionado|criado
    |klaar|gedaan|opgeslagen|aangepast|toegevoegd|gewijzigd
    |gotowe|zapisane|zmienione|dodane|poprawione)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_PROVED = re.compile(
    r"\b(?:verified|tested|I (?:ran|checked)|geprüft|getestet|vérifié|testé|verificado|probado|verificato|testato)\b",
    re.IGNORECASE,
)
_DENIES = re.compile(
    r"""\b(?:not|nothing|never|none|no|cannot|can't|won't|couldn't|didn't|isn't|hasn't|unable|without|before|once|when|if
    |will|would|should|could|until|unless|instead
    |nicht|nichts|kein\w*|nie|wenn|sobald|würde|wird|bevor
    |pas|rien|aucun\w*|jamais|si|quand|serait|sera
    |nada|nunca|cuando|sería|ningun\w*
    |non|niente|mai|quando|sarebbe
    |não|nunca|quando
    |niet|niets|geen|nooit|als|wordt
    |nie|nic|gdy|jeśli)\b|n't\b""",
    re.IGNORECASE | re.VERBOSE,
)


def false_claims(text: str, *, saved: bool, ran: bool, proved: bool) -> list[str]:
    """The sentences that claim what is not on record.

    `saved`: a version was saved. `ran`: a run ended well. `proved`: there is a proof of the version, or a run.
    """
    found = []
    for sentence in re.split(r"(?<=[.!?…。])\s+|\n+", text):
        if not sentence.strip() or sentence.rstrip().endswith("?") or _DENIES.search(sentence):
            continue
        deed = _DID.search(sentence) and not (saved or ran)
        proof = _PROVED.search(sentence) and not (proved or ran or saved)
        if deed or proof:
            found.append(sentence.strip())
    return found
