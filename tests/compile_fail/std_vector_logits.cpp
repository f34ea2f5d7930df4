// must say: RealArray
#include <xent/softmax.hpp>

#include <vector>

void program() {
  const std::vector<float> numbers(3);
#ifdef WRONG
  xent::softmax(numbers);
#else
  xent::softmax(Eigen::Map<const Eigen::VectorXf>(numbers.data(), 3));
#endif
}
