"""Fits the polynomials of kernels/simd/math.h and prints them as C++ (needs mpmath; run by hand, the output is pasted).

Remez's exchange algorithm on a dense grid, in 60 digits: p minimizes max |w·(f − p)| over an interval. The weights make the
error relative to the function that the kernel returns in the end. What rounding does to it is measured by the tests.
"""
from mpmath import mp, mpf, atan, exp, expm1, log, sin, cos, erf, erfc, sqrt, pi, matrix, lu_solve

mp.dps = 60


def remez(f, w, a, b, degree):
    count = degree + 2
    grid = [(a + b) / 2 - (b - a) / 2 * cos(pi * (i + mpf(1) / 2) / 600) for i in range(600)]
    fs, ws = [f(x) for x in grid], [w(x) for x in grid]
    points = [int(599 * (1 - cos(pi * i / (count - 1))) / 2) for i in range(count)]
    for _ in range(40):
        rows = [[grid[i] ** k for k in range(degree + 1)] + [(-1) ** j / ws[i]] for j, i in enumerate(points)]
        solution = lu_solve(matrix(rows), matrix([fs[i] for i in points]))
        p, level = solution[: degree + 1], abs(solution[degree + 1])
        errors = [w_ * (y - sum(c * x**k for k, c in enumerate(p))) for x, y, w_ in zip(grid, fs, ws)]
        # One extremum per run of equal sign; with too many, those at the smaller end go.
        extrema, start = [], 0
        for i in range(1, 601):
            if i == 600 or errors[i] * errors[start] < 0:
                extrema.append(max(range(start, i), key=lambda j: abs(errors[j])))
                start = i
        while len(extrema) > count:
            extrema.pop(0 if abs(errors[extrema[0]]) < abs(errors[extrema[-1]]) else -1)
        worst = max(abs(e) for e in errors)
        if len(extrema) < count or worst < level * mpf("1.001"):
            break
        points = extrema
    return p, worst


def show(name, kind, f, w, a, b, degree):
    p, worst = remez(f, w, mpf(a), mpf(b), degree)
    print(f"// {kind} {name}: error 2^{mp.nstr(log(worst, 2), 4)}")
    digits = 10 if kind == "float" else 18
    print("  " + ", ".join(mp.nstr(c, digits) + ("f" if kind == "float" else "") for c in p) + "\n")


def erfcx(x):
    return exp(x * x) * erfc(x)


half_ln2 = log(mpf(2)) / 2 * mpf("1.001")
s_max = (sqrt(mpf(2)) - 1) / (sqrt(mpf(2)) + 1)
tiny = mpf(10) ** -6
for kind, d_exp, d_log, d_sin, d_cos, d_erf, d_erfc, d_atan in (
    ("float", 5, 2, 2, 2, 6, 8, 4),
    ("double", 10, 6, 5, 5, 11, 18, 10),
):
    # (e^r − 1 − r)/r², error relative to e^r − 1.
    show("exp", kind, lambda r: (expm1(r) - r) / r**2, lambda r: abs(r**2 / expm1(r)), -half_ln2, half_ln2, d_exp)
    # (log((1+s)/(1−s))/s − 2)/z, z = s², relative to the logarithm.
    atanh2 = lambda z: log((1 + sqrt(z)) / (1 - sqrt(z))) / sqrt(z)
    show("log", kind, lambda z: (atanh2(z) - 2) / z, lambda z: z / atanh2(z), tiny, s_max**2 * mpf("1.001"), d_log)
    # ((log((1+s)/(1−s))/s − 2)/z − 2/3)/z: the same with two exact terms, for pow.
    if kind == "double":
        show("log tail", kind, lambda z: ((atanh2(z) - 2) / z - mpf(2) / 3) / z, lambda z: z**2, tiny,
             s_max**2 * mpf("1.001"), 6)
    # (sin r − r)/r³ and (cos r − 1 + z/2)/z², z = r².
    quarter = (pi / 4) ** 2 * mpf("1.001")
    show("sin", kind, lambda z: (sin(sqrt(z)) / sqrt(z) - 1) / z, lambda z: z * sqrt(z) / sin(sqrt(z)), tiny, quarter, d_sin)
    show("cos", kind, lambda z: (cos(sqrt(z)) - 1 + z / 2) / z**2, lambda z: z**2 / cos(sqrt(z)), tiny, quarter, d_cos)
    # (atan(x)/x − 1)/z, z = x², on [0, tan π/8].
    show("atan", kind, lambda z: (atan(sqrt(z)) / sqrt(z) - 1) / z, lambda z: z * sqrt(z) / atan(sqrt(z)), tiny,
         (sqrt(mpf(2)) - 1) ** 2 * mpf("1.001"), d_atan)
    # erf(x)/x − 1, z = x², on [0, 1].
    show("erf", kind, lambda z: erf(sqrt(z)) / sqrt(z) - 1, lambda z: sqrt(z) / erf(sqrt(z)), tiny, mpf(1), d_erf)
    # exp(x²)·erfc(x)·(x + 3) in t = (x − 4)/(x + 3), for x in [1, 28], beyond which erfc is 0 (float: 11).
    x_of = lambda t: (4 + 3 * t) / (1 - t)
    show("erfcx", kind, lambda t: erfcx(x_of(t)) * (x_of(t) + 3), lambda t: 1 / (erfcx(x_of(t)) * (x_of(t) + 3)),
         mpf(-3) / 4, mpf(7) / 14 if kind == "float" else mpf(24) / 31, d_erfc)

# π/2 in pieces of few bits, so that their products with a small integer are exact; the last piece has all the bits left.
for kind, bits, count in (("float", 12, 5), ("double", 33, 4)):
    rest, pieces = pi / 2, []
    for i in range(count):
        unit = mpf(2) ** (int(mp.floor(log(rest, 2))) + 1 - (bits if i < count - 1 else (24 if kind == "float" else 53)))
        piece = (mp.floor if i < count - 1 else mp.nint)(rest / unit) * unit
        pieces.append(float(piece).hex() + ("f" if kind == "float" else ""))
        rest -= piece
    print(f"// {kind} pi/2\n  " + ", ".join(pieces) + "\n")

# 2/π in 32-bit words after the point, for the range reduction of huge arguments; ln 2 in two parts.
mp.dps = 500
words = int(mp.floor(2 / pi * mpf(2) ** (32 * 38)))
print("// 2/pi\n  " + ", ".join(f"0x{words >> 32 * (37 - i) & 0xFFFFFFFF:08x}" for i in range(38)))
for kind, bits in (("float", 15), ("double", 41)):
    high = mp.floor(log(mpf(2)) * 2**bits) / 2**bits
    print(f"// {kind} ln 2\n  {float(high).hex()}, {float(log(mpf(2)) - high).hex()}  // {mp.nstr(log(mpf(2)) - high, 20)}")
