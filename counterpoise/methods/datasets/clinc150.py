"""CLINC150: 22,500 short questions to an assistant, 150 for each of 150 intents, as hashed counts of their words.

Source: Larson et al. 2019, "An evaluation dataset for intent classification and out-of-scope prediction"
(github.com/clinc/oos-eval, data_full.json).
Shapes: tables (2048,).
Units: a row counts words, each with a sign, and has length 1.
Raises: UserError if the file is missing or not the published one.
Differs from the source: the out-of-scope questions are left out; the official validation part (20 an intent) joins the
100 for training, from which validation is drawn as for any data set; the test part is the official one. Words are
hashed into columns (MurmurHash3, no vocabulary), so that nothing is fitted and no part is seen by another; pairs of
words in the same columns made a perceptron worse.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from counterpoise.data.files import Files, Locate, open_file

_FEATURES = 2048
_CLASSES = """
accept_reservations account_blocked alarm application_status apr are_you_a_bot balance bill_balance bill_due
book_flight book_hotel calculator calendar calendar_update calories cancel cancel_reservation car_rental card_declined
carry_on change_accent change_ai_name change_language change_speed change_user_name change_volume confirm_reservation
cook_time credit_limit credit_limit_change credit_score current_location damaged_card date definition direct_deposit
directions distance do_you_have_pets exchange_rate expiration_date find_phone flight_status flip_coin food_last
freeze_account fun_fact gas gas_type goodbye greeting how_busy how_old_are_you improve_credit_score income
ingredient_substitution ingredients_list insurance insurance_change interest_rate international_fees
international_visa jump_start last_maintenance lost_luggage make_call maybe meal_suggestion meaning_of_life
measurement_conversion meeting_schedule min_payment mpg new_card next_holiday next_song no nutrition_info
oil_change_how oil_change_when order order_checks order_status pay_bill payday pin_change play_music plug_type
pto_balance pto_request pto_request_status pto_used recipe redeem_rewards reminder reminder_update repeat
replacement_card_duration report_fraud report_lost_card reset_settings restaurant_reservation restaurant_reviews
restaurant_suggestion rewards_balance roll_dice rollover_401k routing schedule_maintenance schedule_meeting
share_location shopping_list shopping_list_update smart_home spelling spending_history sync_device taxes tell_joke
text thank_you time timer timezone tire_change tire_pressure todo_list todo_list_update traffic transactions transfer
translate travel_alert travel_notification travel_suggestion uber update_playlist user_name vaccines w2 weather
what_are_your_hobbies what_can_i_ask_you what_is_your_name what_song where_are_you_from whisper_mode
who_do_you_work_for who_made_you yes
"""


@dataclass(frozen=True)
class Method:
    """The intents of CLINC150, as bags of words."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = tuple(_CLASSES.split())
    shape: ClassVar[tuple[int, ...]] = (_FEATURES,)
    train_counts: ClassVar[tuple[int, ...]] = (120,) * 150
    data_hash: ClassVar[str] = "a794136961aabeafa46a88024310f9ed784b1832f9af72d72057038f8b586225"
    files: ClassVar[Files] = {
        "data_full.json": (
            "https://github.com/clinc/oos-eval/raw/828f8093932c8fe6ca7936c3d2e52903b1c523de/data/data_full.json",
            "sha256:36923c3705a59e08fe9c3883d8bc2dd966ef93e22cb78ac41171782a698d56e0",
        )
    }

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return train_x_ND, train_y_N, test_x_ND, test_y_N (float32, int64), in the order of the file."""
        with open_file(locate("data_full.json")) as source:
            parts = json.load(source)
        return *self._encoded(parts["train"] + parts["val"]), *self._encoded(parts["test"])

    def _encoded(self, part: list[list[str]]) -> tuple[np.ndarray, np.ndarray]:
        labels = {name: label for label, name in enumerate(self.classes)}
        return hashed([text for text, _ in part]), np.array([labels[intent] for _, intent in part])


def hashed(texts: list[str]) -> np.ndarray:
    """Return signed counts of the lower-cased words of each text as x_ND (float32) of length 1; 0 without a word.

    Counts are whole and only the last step rounds, so the result is the same to the bit on any machine.
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    words = HashingVectorizer(n_features=_FEATURES, token_pattern=r"\b\w+\b", norm=None, dtype=np.float32)
    x_ND = words.transform(texts).toarray()
    length_N = np.sqrt(np.square(x_ND).sum(1, dtype=np.float64))
    return np.divide(x_ND, np.maximum(length_N, 1)[:, None], out=x_ND, casting="same_kind")
