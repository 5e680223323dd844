"""How numbers are written for people, on pages, in tables, in sentences and in a terminal."""


def number(value: float, digits: int = 3, sign: bool = False) -> str:
    """Write a number with a fixed count of digits, a true minus, and never a minus zero."""
    text = f"{value:+,.{digits}f}" if sign else f"{value:,.{digits}f}"
    if not any(c in "123456789" for c in text):
        text = text.lstrip("+-")
    return text.replace("-", "−").replace(",", "\u202f")


def estimate(value: float | None, interval: list[float] | None = None, digits: int = 4) -> str:
    """Write a signed effect and its interval, where it has one."""
    if value is None:
        return "–"
    limits = f" [{', '.join(number(limit, digits, sign=True) for limit in interval)}]" if interval else ""
    return number(value, digits, sign=True) + limits


def short(value: float, digits: int = 3) -> str:
    """Write a number with a few significant digits and a true minus."""
    return f"{value:.{digits}g}".replace("-", "−")


def p_value(value: float | None) -> str:
    """Write a p-value: three digits, or that it is smaller than they can show."""
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
