# SPDX-License-Identifier: MIT
# pictures.gp - the pictures of cross-entropy.md. From the top of the repository, with the examples built:
#
#   examples/cross_entropy_page --curves | gnuplot - docs/pictures.gp

blue = '#2166ac'; red = '#c8553d'; grey = '#777777'; pale = '#e6e6e6'

set terminal svg size 560,320 font 'sans-serif,13' background '#ffffff'
set border 3 lc rgb '#999999'
set tics nomirror scale 0.6 tc rgb '#333333'
set grid lc rgb pale lt 1
set key noautotitle
set style fill solid 0.15 noborder

# The price of the truth: -log2 p.
set output 'docs/pictures/surprise.svg'
set xlabel 'probability given to the true label'
set ylabel 'loss in bits'
set xrange [0:1]
set yrange [0:7]
set arrow 1 from 0,1 to 0.5,1 nohead dt 2 lc rgb grey
set arrow 2 from 0.5,0 to 0.5,1 nohead dt 2 lc rgb grey
set label 1 'a coin flip: 1 bit' at 0.525,1.25 tc rgb grey
set label 2 'no upper bound' at 0.035,6.5 tc rgb grey
plot $surprise using 1:2 with lines lw 2.5 lc rgb blue, \
     '+' using (0.5):(1) every ::0::0 with points pt 7 ps 0.7 lc rgb blue
unset arrow
unset label

# A hard and a soft label: where the minimum is, and how deep.
set output 'docs/pictures/soft-label.svg'
set xlabel 'P(dog)'
set yrange [0:4]
set arrow 1 from 0.6,0 to 0.6,0.971 nohead dt 2 lc rgb grey
set label 1 'label dog' at 0.13,3.3 tc rgb blue
set label 2 'label 60 % dog, 40 % cat' at 0.985,3.3 right tc rgb red
set label 3 'divergence' at 0.14,1.2 center tc rgb red
set label 4 'entropy of the label' at 0.2,0.5 center tc rgb grey
plot $soft using 1:3:4 with filledcurves lc rgb red, \
     $soft using 1:4 with filledcurves y1=0 lc rgb grey, \
     $soft using 1:2 with lines lw 2.5 lc rgb blue, \
     $soft using 1:3 with lines lw 2.5 lc rgb red
unset arrow
unset label

# Softmax: from no opinion to a hard decision.
set output 'docs/pictures/softmax.svg'
set xlabel 'factor f on the logits (2, 1, -1)'
set ylabel 'softmax(f z)'
set xrange [0:4]
set yrange [0:1]
set rmargin 7
set label 1 'dog' at graph 1.02, first 0.982 tc rgb blue
set label 2 'cat' at graph 1.02, first 0.045 tc rgb red
set label 3 'bird' at 0.16,0.09 tc rgb grey
plot $softmax using 1:2 with lines lw 2.5 lc rgb blue, \
     $softmax using 1:3 with lines lw 2.5 lc rgb red, \
     $softmax using 1:4 with lines lw 2.5 lc rgb grey
unset label
set rmargin

# The loss of an ever more confident and right classifier, in float.
set output 'docs/pictures/confident.svg'
set xlabel 'margin of the true label'
set ylabel 'loss in nats'
set xrange [-30:85]
set yrange [1e-38:1e3]
set logscale y
set format y '10^{%T}'
set ytics 1e-40,1e10
unset mytics
set arrow 1 from 16.8,1e-38 to 16.8,6e-8 nohead dt 2 lc rgb red
set label 1 'the usual form:' at 14,1e-20 right tc rgb red
set label 2 'exactly 0 from here on' at 14,1e-23 right tc rgb red
set label 3 'xent' at 42,1e-13 tc rgb blue
plot $confident using 1:3 with lines lw 2.5 lc rgb blue, \
     $confident using 1:($2 > 0 ? $2 : NaN) with lines lw 4 dt 3 lc rgb red
set output
