# SPDX-License-Identifier: MIT
# pictures.gp - the two pictures of the report. Called by report.py, which sets out (a folder with left.dat and
# right.dat), rows and peers.

blue = '#2166ac'; red = '#c8553d'; grey = '#777777'; pale = '#e6e6e6'
array colours[4] = ['#9ecae1', '#2166ac', '#c8553d', '#e0a458']

set encoding utf8
set border 1 lc rgb '#999999'
set tics nomirror scale 0 tc rgb '#333333'
set grid xtics lc rgb pale lt 1
set style fill solid 1 noborder
set key noautotitle
set datafile separator '\t'
set datafile missing 'NaN'
set yrange [rows - 0.4:-0.6]
left = 0.26; middle = 0.63; right = 0.985

panel(side) = sprintf('%s/%s.dat', out, side)

# How many times xent's time a peer takes: bars to the right of 1 where xent is faster.
height = 110 + 40 * rows
set terminal svg size 860,height noenhanced font 'sans-serif,12' background '#ffffff'
set output out.'/ratio.svg'
count = words(peers)
share = 0.8 / count
set logscale x
set xrange [0.3:300]
set xtics ('1/3' 1.0/3, '1' 1, '3' 3, '10' 10, '30' 30, '100' 100)
set arrow 1 from 1, graph 0 to 1, graph 1 nohead lc rgb grey front
set multiplot layout 1,2
set tmargin at screen 1 - 78.0 / height
set bmargin at screen 34.0 / height
set label 10 "Time of the peers, in xent's time" at screen 0.02, screen 1 - 20.0 / height font ',15'
do for [k = 1:count] {
  set label 10 + k '■ '.word(peers, k) at screen 0.02 + 0.15 * (k - 1), screen 1 - 44.0 / height tc rgb colours[k]
}
do for [side in 'left right'] {
  from = side eq 'left' ? left : middle
  set lmargin at screen from
  set rmargin at screen from + right - middle - 0.01
  set title side eq 'left' ? 'loss or values' : 'loss and gradient' offset 0,-0.6
  top(k) = -0.4 + share * (k - 1)
  inside(v) = v > 300 ? 300 : v < 0.3 ? 0.3 : v
  plot for [k = 1:count] panel(side) \
         using (1):1:(1):(inside(column(4 + k))):($1 + top(k)):($1 + top(k) + 0.9 * share) \
         with boxxyerror lc rgb colours[k], \
       for [k = 1:count] panel(side) \
         using (column(4 + k) > 1 ? inside(column(4 + k)) : 1):($1 + top(k) + 0.45 * share): \
         (valid(4 + k) ? sprintf('%.3g', column(4 + k)) : '') with labels left offset 0.4,0 font ',8' tc rgb grey, \
       panel(side) using (1):1:ytic(side eq 'left' ? stringcolumn(2) : '') with points pt -1
  do for [k = 0:count] { unset label 10 + k }
}
unset multiplot
unset arrow
set output

# The share of the limit that is reached.
height = 110 + 24 * rows
set terminal svg size 860,height noenhanced font 'sans-serif,12' background '#ffffff'
set output out.'/roofline.svg'
unset logscale
set xrange [0:118]
set xtics ('0' 0, '25 %%' 25, '50 %%' 50, '75 %%' 75, '100 %%' 100)
set multiplot layout 1,2
set tmargin at screen 1 - 78.0 / height
set bmargin at screen 34.0 / height
set label 10 'Speed, as a share of what the machine allows' at screen 0.02, screen 1 - 20.0 / height font ',15'
set label 11 '■ the limit is memory' at screen 0.02, screen 1 - 44.0 / height tc rgb blue
set label 12 '■ the limit is taking exponentials' at screen 0.22, screen 1 - 44.0 / height tc rgb red
do for [side in 'left right'] {
  from = side eq 'left' ? left : middle
  set lmargin at screen from
  set rmargin at screen from + right - middle - 0.01
  set title side eq 'left' ? 'loss or values' : 'loss and gradient' offset 0,-0.6
  plot for [what = 0:1] panel(side) using (0):1:(0):($4 == what ? $3 : NaN):($1 - 0.36):($1 + 0.36) \
         with boxxyerror lc rgb what ? red : blue, \
       panel(side) using 3:1:(valid(3) ? sprintf('%.0f %%', $3) : '') with labels left offset 0.4,0 font ',10' tc rgb grey, \
       panel(side) using (0):1:ytic(side eq 'left' ? stringcolumn(2) : '') with points pt -1
  do for [k = 10:12] { unset label k }
}
unset multiplot
set output
